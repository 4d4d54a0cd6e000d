package edgekd.bundle;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/**
 * Raw numbers as the file takes them. Every step is rounded to float32 and is in the order of
 * docs/package.md, so that every language gives the same bytes.
 */
final class Feed {
    private Feed() {}

    /** An input's buffer, empty. */
    static ByteBuffer buffer(Spec.Input part) {
        int size = part.size() * (part.scale != null ? 1 : 4);
        return ByteBuffer.allocateDirect(size).order(ByteOrder.nativeOrder());
    }

    /**
     * Fills an input's buffer.
     *
     * @param raw a sample in the training data's units, channels first.
     */
    static void fill(ByteBuffer buffer, float[] raw, Spec.Input part) {
        if (raw.length != part.size()) {
            throw new ModelException(
                    "The input " + part.name + " takes " + part.size() + " numbers, and "
                            + raw.length + " came.");
        }
        buffer.rewind();
        int channels = part.shape[0];
        int inner = raw.length / channels;
        for (int at = 0; at < raw.length; at++) {
            int channel = part.channelsLast ? at % channels : at / inner;
            float value = raw[part.channelsLast ? channel * inner + at / channels : at];
            if (Float.isNaN(value) || Float.isInfinite(value)) {
                throw new ModelException("A sample holds a value that is not finite.");
            }
            if (part.codes) {
                buffer.putInt((int) value);
            } else {
                put(buffer, (value - part.mean[channel]) / part.std[channel], part.scale);
            }
        }
        buffer.rewind();
    }

    private static void put(ByteBuffer buffer, float x, Spec.Scale scale) {
        if (scale == null) {
            buffer.putFloat(x);
        } else {
            double steps = Math.rint(x / scale.scale) + scale.zeroPoint;
            buffer.put((byte) Math.max(-128, Math.min(127, steps)));
        }
    }
}
