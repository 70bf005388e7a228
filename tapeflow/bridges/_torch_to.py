def to_torch(f): pass
