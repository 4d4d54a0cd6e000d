import Foundation

/// A value of a table's row: `["age": 42, "city": "Bern", "height": nil]`.
public enum Cell: Sendable, Decodable, ExpressibleByIntegerLiteral, ExpressibleByFloatLiteral,
    ExpressibleByStringLiteral, ExpressibleByNilLiteral
{
    case whole(Int)
    case number(Double)
    case text(String)
    case missing

    public init(integerLiteral value: Int) { self = .whole(value) }
    public init(floatLiteral value: Double) { self = .number(value) }
    public init(stringLiteral value: String) { self = .text(value) }
    public init(nilLiteral: ()) { self = .missing }

    public init(from decoder: Decoder) throws {
        let value = try decoder.singleValueContainer()
        if value.decodeNil() {
            self = .missing
        } else if let text = try? value.decode(String.self) {
            self = .text(text)
        } else {
            self = .number(try value.decode(Double.self))
        }
    }
}

/// A table's row, column by column, as raw numbers and codes.
struct Rows: Reader {
    private static let missing: Set<String> = ["", "na", "n/a", "nan", "null", "none", "?", "-"]
    private let inputs: [Spec.Input]

    init(_ spec: Spec) {
        inputs = spec.inputs
    }

    /// One array an input; a missing number is the mean, an unknown category code 0. Columns that
    /// the model does not know are left out.
    func raw(_ row: [String: Cell]) throws -> [[Float]] {
        try inputs.map { part -> [Float] in
            try part.columns.indices.map { number -> Float in
                let name = part.columns[number]
                guard let cell = row[name] else {
                    throw ModelError(
                        message: "The row lacks the column \(name); nil says that it is not known.")
                }
                if part.isCodes {
                    return try Rows.code(cell, name, part.vocabulary[number])
                }
                return try Rows.number(cell, name, part.mean[number])
            }
        }
    }

    func madeUp(_ number: Int) throws -> [[Float]] {
        throw ModelError(message: "A table's golden samples are rows: package again.")
    }

    private static func code(_ cell: Cell, _ name: String, _ words: [String]) throws -> Float {
        let text: String
        switch cell {
        case .missing: return 0
        case .whole(let value): text = String(value)
        case .text(let value): text = value.trimmingCharacters(in: .whitespacesAndNewlines)
        case .number(let value):
            throw ModelError(message: "\(name) is a text or a whole number, not \(value).")
        }
        return Float((words.firstIndex(of: text) ?? -1) + 1)
    }

    private static func number(_ cell: Cell, _ name: String, _ mean: Double) throws -> Float {
        switch cell {
        case .missing: return Float(mean)
        case .whole(let value): return Float(Double(value))
        case .number(let value):
            guard !value.isNaN else { return Float(mean) }
            guard abs(value) <= Double(Float.greatestFiniteMagnitude) else {
                throw ModelError(message: "\(name) is not finite.")
            }
            return Float(value)
        case .text(let value):
            let plain = value.trimmingCharacters(in: .whitespacesAndNewlines).lowercased()
            guard missing.contains(plain) else {
                throw ModelError(message: "\(name) is a number, not \(value).")
            }
            return Float(mean)
        }
    }
}
