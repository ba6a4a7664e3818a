"""What is normal for one camera, and how far a frame is from it: ``CellMap -> FrameScore -> AnomalyEvent``."""
