/// One possible answer.
public struct Category: Sendable {
    public let label: String
    /// Its probability as the model sees it; of several labels, one applies above 0.5.
    public let score: Double
}
