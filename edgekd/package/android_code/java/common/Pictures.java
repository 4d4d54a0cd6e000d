package edgekd.bundle;

import android.graphics.Bitmap;
import org.json.JSONException;
import org.json.JSONObject;

/** Bitmaps as raw samples: grey or RGB, resized, in the training data's units. */
final class Pictures implements Reader {
    private static final double PIXELS = 255.0;
    /** Bits of a resizing weight: 8 of the pixel and 2 to spare leave 22 of 32. */
    private static final int BITS = 22;

    private final Spec.Input part;

    Pictures(Spec spec) {
        part = spec.inputs[0];
    }

    /** Raw numbers (C, H, W) of a bitmap; its alpha is left out. */
    float[][] raw(Bitmap bitmap) {
        int width = bitmap.getWidth();
        int height = bitmap.getHeight();
        int[] argb = new int[width * height];
        bitmap.getPixels(argb, 0, width, 0, 0, width, height);
        return new float[][] {raw(argb, width, height)};
    }

    @Override
    public float[][] golden(JSONObject sample) throws JSONException {
        int number = sample.getInt("made_up");
        int[] values = Golden.pattern(part.size(), number);
        int channels = part.shape[0];
        int[] argb = new int[values.length / channels];
        for (int at = 0; at < argb.length; at++) {
            int red = values[at * channels];
            int green = values[at * channels + channels / 2];
            int blue = values[at * channels + channels - 1];
            argb[at] = red << 16 | green << 8 | blue;
        }
        return new float[][] {raw(argb, part.shape[2], part.shape[1])};
    }

    private float[] raw(int[] argb, int width, int height) {
        int channels = part.shape[0];
        int[] pixels = planes(argb, channels);
        pixels = across(pixels, channels * height, width, part.shape[2]);
        pixels = down(pixels, channels, height, part.shape[2], part.shape[1]);
        float unit = (float) (part.peak / PIXELS);
        float[] raw = new float[pixels.length];
        for (int at = 0; at < raw.length; at++) {
            raw[at] = pixels[at] * unit;
        }
        return raw;
    }

    /** (C, H, W); one channel is grey by the weights of ITU-R 601-2, as Pillow rounds them. */
    private static int[] planes(int[] argb, int channels) {
        int[] found = new int[channels * argb.length];
        for (int at = 0; at < argb.length; at++) {
            int red = (argb[at] >> 16) & 255;
            int green = (argb[at] >> 8) & 255;
            int blue = argb[at] & 255;
            if (channels == 1) {
                found[at] = (red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16;
            } else {
                found[at] = red;
                found[argb.length + at] = green;
                found[2 * argb.length + at] = blue;
            }
        }
        return found;
    }

    /** Rows of `from` pixels resized to `to`. */
    private static int[] across(int[] pixels, int rows, int from, int to) {
        if (from == to) {
            return pixels;
        }
        Weights weights = new Weights(from, to);
        int[] found = new int[rows * to];
        for (int row = 0; row < rows; row++) {
            for (int x = 0; x < to; x++) {
                found[row * to + x] = weights.sum(pixels, row * from, 1, x);
            }
        }
        return found;
    }

    /** Columns of `from` pixels resized to `to`. */
    private static int[] down(int[] pixels, int channels, int from, int width, int to) {
        if (from == to) {
            return pixels;
        }
        Weights weights = new Weights(from, to);
        int[] found = new int[channels * to * width];
        for (int channel = 0; channel < channels; channel++) {
            for (int y = 0; y < to; y++) {
                for (int x = 0; x < width; x++) {
                    int start = channel * from * width + x;
                    found[(channel * to + y) * width + x] = weights.sum(pixels, start, width, y);
                }
            }
        }
        return found;
    }

    /**
     * A triangle over each new pixel, as wide as it covers old ones (antialiased bilinear), in
     * whole numbers: what Pillow's Image.resize computes with Resampling.BILINEAR.
     */
    private static final class Weights {
        final int[] first;
        final int[][] weights;

        Weights(int from, int to) {
            first = new int[to];
            weights = new int[to][];
            double scale = (double) from / to;
            double support = Math.max(scale, 1.0);
            for (int each = 0; each < to; each++) {
                double centre = (each + 0.5) * scale;
                int low = Math.max((int) (centre - support + 0.5), 0);
                int high = Math.min((int) (centre + support + 0.5), from);
                first[each] = low;
                weights[each] = whole(triangle(low, high, centre, 1.0 / support));
            }
        }

        private static double[] triangle(int low, int high, double centre, double slope) {
            double[] found = new double[high - low];
            double sum = 0;
            for (int at = 0; at < found.length; at++) {
                double distance = Math.abs((at + low - centre + 0.5) * slope);
                found[at] = distance < 1 ? 1 - distance : 0;
                sum += found[at];
            }
            for (int at = 0; at < found.length && sum != 0; at++) {
                found[at] /= sum;
            }
            return found;
        }

        private static int[] whole(double[] weights) {
            int[] found = new int[weights.length];
            for (int at = 0; at < found.length; at++) {
                found[at] = (int) (0.5 + weights[at] * (1 << BITS));
            }
            return found;
        }

        int sum(int[] pixels, int start, int stride, int each) {
            int[] parts = weights[each];
            int sum = 1 << (BITS - 1);
            int at = start + first[each] * stride;
            for (int part : parts) {
                sum += pixels[at] * part;
                at += stride;
            }
            return Math.max(0, Math.min((int) PIXELS, sum >> BITS));
        }
    }
}
