#!/bin/bash
# What a student's server does first: a compile cache of their own, the course brought up to date, and then Jupyter.
set -e
if [ ! -e "$HOME/.cache/wasilab" ]; then
  mkdir -p "$HOME/.cache"
  cp -r /opt/wasilab-cache/. "$HOME/.cache/"
fi
wasilab course "$HOME/course" || echo 'the course was not updated' >&2
exec jupyterhub-singleuser --ServerApp.root_dir="$HOME" --ServerApp.default_url=/lab/tree/course/00-start-here.ipynb "$@"
