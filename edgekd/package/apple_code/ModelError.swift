import Foundation

/// A bundle that cannot be used, or an input that is none of this model; says what to do.
public struct ModelError: LocalizedError {
    public let message: String

    public var errorDescription: String? { message }
}
