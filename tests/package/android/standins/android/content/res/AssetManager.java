package android.content.res;

import java.io.File;
import java.io.FileInputStream;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStream;

/** A folder; like Android, it opens no descriptor of what the app stores compressed. */
public class AssetManager {
    private final File folder;
    private final boolean compressed;

    public AssetManager(File folder, boolean compressed) {
        this.folder = folder;
        this.compressed = compressed;
    }

    public InputStream open(String name) throws IOException {
        return new FileInputStream(new File(folder, name));
    }

    public AssetFileDescriptor openFd(String name) throws IOException {
        if (compressed) {
            throw new FileNotFoundException("it is probably compressed");
        }
        File file = new File(folder, name);
        return new AssetFileDescriptor(new FileInputStream(file), file.length());
    }
}
