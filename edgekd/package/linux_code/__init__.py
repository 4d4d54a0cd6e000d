"""What runs inside the Linux bundle. Numpy and the standard library only, Python 3.9 on."""
