package edgekd.bundle;

import android.content.res.AssetFileDescriptor;
import android.content.res.AssetManager;
import java.io.ByteArrayOutputStream;
import java.io.FileInputStream;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import org.json.JSONException;
import org.json.JSONObject;

/** The bundle's files, checked before anything is made of them. */
final class Assets {
    private static final int BLOCK = 1 << 16;
    private static final String MANIFEST = "manifest.json";

    private final AssetManager assets;
    private final String folder;
    private final JSONObject manifest;

    /** @param sha256 what the folder's manifest must be, in hexadecimal digits. */
    Assets(AssetManager assets, String folder, String sha256) {
        this.assets = assets;
        this.folder = folder;
        String told = text(verified(MANIFEST, sha256));
        try {
            manifest = new JSONObject(told).getJSONObject("files");
        } catch (JSONException error) {
            throw new ModelException("manifest.json lacks a field: package again.", error);
        }
    }

    /** A file of the folder as a direct buffer: mapped where it lies uncompressed, else read. */
    ByteBuffer verified(String name) {
        try {
            return verified(name, manifest.getJSONObject(name).getString("sha256"));
        } catch (JSONException error) {
            throw new ModelException("manifest.json does not name " + name + ".", error);
        }
    }

    private ByteBuffer verified(String name, String sha256) {
        String path = folder + "/" + name;
        ByteBuffer content;
        try {
            content = content(path);
        } catch (FileNotFoundException missing) {
            throw new ModelException(
                    "The app has no asset " + path + ". Add the library's AAR to the app again, and"
                            + " check that no packaging option leaves its assets out.",
                    missing);
        } catch (IOException error) {
            throw new ModelException("The asset " + path + " cannot be read.", error);
        }
        String found = sha256(content);
        if (!found.equals(sha256)) {
            throw new ModelException(
                    "The asset " + path + " is damaged, cut off or of another version: it has "
                            + content.capacity() + " bytes with SHA-256 " + found + ", and this"
                            + " library was made for " + sha256 + ". Build the app again with one"
                            + " version of the library.");
        }
        return content;
    }

    private ByteBuffer content(String path) throws IOException {
        try (AssetFileDescriptor place = assets.openFd(path);
                FileInputStream file = new FileInputStream(place.getFileDescriptor())) {
            return file.getChannel()
                    .map(FileChannel.MapMode.READ_ONLY, place.getStartOffset(), place.getLength());
        } catch (FileNotFoundException compressed) { // or missing, which open() tells apart
            try (InputStream stream = assets.open(path)) {
                byte[] all = read(stream);
                ByteBuffer direct =
                        ByteBuffer.allocateDirect(all.length).order(ByteOrder.nativeOrder());
                direct.put(all).rewind();
                return direct;
            }
        }
    }

    private static byte[] read(InputStream stream) throws IOException {
        ByteArrayOutputStream all = new ByteArrayOutputStream();
        byte[] block = new byte[BLOCK];
        for (int count = stream.read(block); count >= 0; count = stream.read(block)) {
            all.write(block, 0, count);
        }
        return all.toByteArray();
    }

    static String text(ByteBuffer content) {
        return new String(bytes(content), StandardCharsets.UTF_8);
    }

    static byte[] bytes(ByteBuffer content) {
        byte[] all = new byte[content.capacity()];
        ByteBuffer view = content.duplicate();
        view.rewind();
        view.get(all);
        return all;
    }

    static String sha256(ByteBuffer content) {
        MessageDigest digest;
        try {
            digest = MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException impossible) { // every Java has it
            throw new IllegalStateException(impossible);
        }
        ByteBuffer view = content.duplicate();
        view.rewind();
        digest.update(view);
        StringBuilder digits = new StringBuilder();
        for (byte each : digest.digest()) {
            digits.append(Character.forDigit((each >> 4) & 15, 16));
            digits.append(Character.forDigit(each & 15, 16));
        }
        return digits.toString();
    }
}
