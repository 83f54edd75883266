"""From the bytes of a module to machine code: engines, their pool, proposals, limits of compiling."""
