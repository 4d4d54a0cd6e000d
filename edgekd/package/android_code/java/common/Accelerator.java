package edgekd.bundle;

/** What computes. Only the processor is on every device. */
public enum Accelerator {
    CPU,
    GPU,
    NPU
}
