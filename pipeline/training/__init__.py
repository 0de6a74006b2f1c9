"""Training of PilotNet: the expert drives, then the network drives and the expert answers, then the final fit."""
