package ai.onnxruntime;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.IntBuffer;

public class OnnxTensor extends OnnxTensorLike {
    final ByteBuffer content;

    OnnxTensor(ByteBuffer content) {
        this.content = content;
    }

    public static OnnxTensor createTensor(
            OrtEnvironment env, ByteBuffer data, long[] shape, OnnxJavaType type)
            throws OrtException {
        return new OnnxTensor(data.duplicate());
    }

    public static OnnxTensor createTensor(OrtEnvironment env, FloatBuffer data, long[] shape)
            throws OrtException {
        ByteBuffer bytes = bytes(data.remaining());
        bytes.asFloatBuffer().put(data);
        return new OnnxTensor(bytes);
    }

    public static OnnxTensor createTensor(OrtEnvironment env, IntBuffer data, long[] shape)
            throws OrtException {
        ByteBuffer bytes = bytes(data.remaining());
        bytes.asIntBuffer().put(data);
        return new OnnxTensor(bytes);
    }

    private static ByteBuffer bytes(int count) {
        return ByteBuffer.allocateDirect(4 * count).order(ByteOrder.nativeOrder());
    }

    public ByteBuffer getByteBuffer() {
        return content.duplicate();
    }

    @Override
    public void close() {}
}
