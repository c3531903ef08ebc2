"""The drawn scenes: one folder that serves classification, segmentation and detection."""
