"""What a guest is given: grants, policy files, advice (floor 3)."""
