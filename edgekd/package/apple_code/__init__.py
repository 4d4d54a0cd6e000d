"""Swift that every Apple bundle holds; `edgekd.package.apple` writes the class that an app uses."""
