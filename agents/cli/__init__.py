"""The commands of `drumbeat`, one file each: `add` describes it to argparse, `run` carries it out and returns an exit code."""
