package android.graphics;

/** Pixels as Android gives them: ARGB, 8 bits each, not premultiplied. */
public final class Bitmap {
    private final int[] argb;
    private final int width;
    private final int height;

    private Bitmap(int[] argb, int width, int height) {
        this.argb = argb;
        this.width = width;
        this.height = height;
    }

    public static Bitmap createBitmap(int[] colors, int width, int height, Config config) {
        return new Bitmap(colors.clone(), width, height);
    }

    public int getWidth() {
        return width;
    }

    public int getHeight() {
        return height;
    }

    public void getPixels(
            int[] pixels, int offset, int stride, int x, int y, int width, int height) {
        for (int row = 0; row < height; row++) {
            System.arraycopy(argb, (y + row) * this.width + x, pixels, offset + row * stride, width);
        }
    }

    public enum Config {
        ARGB_8888
    }
}
