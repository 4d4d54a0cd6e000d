/// What computes.
public enum Accelerator: Sendable {
    case cpu
    /// Core ML: the GPU or the Neural Engine, where the model and the device allow it.
    case coreML
}

/// How a model is run. Small networks are fastest on one thread of the processor.
public struct Options: Sendable {
    public var threads: Int
    public var accelerator: Accelerator

    public init(threads: Int = 1, accelerator: Accelerator = .cpu) {
        self.threads = threads
        self.accelerator = accelerator
    }
}
