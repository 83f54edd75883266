"""Recordings and their replays."""
