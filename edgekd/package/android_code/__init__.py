"""What the Android bundle is made of, without a JDK or an Android SDK.

java/         the source of what runs in an app
classes/      the same, compiled once by `compile.py`, as edgekd ships it
java_class.py the one class that is typed by the model
classfile.py  names in compiled classes, changed to the bundle's own
aar.py, maven.py, samples.py   what is written
"""
