package com.google.ai.edge.litert;

/** Signatures as LiteRT 2's Kotlin class has them for Java. */
public final class TensorBuffer implements AutoCloseable {
    private TensorBuffer() {}

    public native void writeInt(int[] data) throws LiteRtException;

    public native void writeFloat(float[] data) throws LiteRtException;

    public native void writeInt8(byte[] data) throws LiteRtException;

    public native float[] readFloat() throws LiteRtException;

    public native byte[] readInt8() throws LiteRtException;

    @Override
    public void close() {}
}
