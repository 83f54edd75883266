"""Files and directories in memory."""
