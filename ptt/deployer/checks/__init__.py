"""What ``ptt check`` looks at, by theme: facts are gathered by asking, then judged into sentences [C9]."""
