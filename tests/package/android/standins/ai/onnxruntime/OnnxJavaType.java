package ai.onnxruntime;

public enum OnnxJavaType {
    FLOAT,
    INT8,
    INT32
}
