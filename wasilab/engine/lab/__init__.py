"""Many instances that call each other: functions of one as imports of another, and descriptors passed as arguments."""
