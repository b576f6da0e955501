"""Networks rebuilt in torch, to load pretrained weights into."""
