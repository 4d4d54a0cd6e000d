import CryptoKit
import Foundation

/// The bundle's files, checked before anything is made of them.
struct BundleFiles {
    private struct Manifest: Decodable {
        struct File: Decodable {
            let sha256: String
        }

        let files: [String: File]
    }

    let folder: URL
    private let manifest: Manifest

    /// - Parameter sha256: what the folder's manifest must be, in hexadecimal digits.
    init(folder: URL, sha256: String) throws {
        self.folder = folder
        let told = try Self.verified(folder.appendingPathComponent("manifest.json"), sha256)
        manifest = try decoded(Manifest.self, told, "manifest.json")
    }

    func verified(_ name: String) throws -> Data {
        guard let file = manifest.files[name] else {
            throw ModelError(message: "manifest.json does not name \(name).")
        }
        return try Self.verified(folder.appendingPathComponent(name), file.sha256)
    }

    private static func verified(_ file: URL, _ sha256: String) throws -> Data {
        let content: Data
        do {
            content = try Data(contentsOf: file, options: .mappedIfSafe)
        } catch {
            throw ModelError(
                message: "The app has no \(file.lastPathComponent) of this package. "
                    + "Add the package to the app again.")
        }
        let found = hexadecimal(SHA256.hash(data: content))
        guard found == sha256 else {
            throw ModelError(
                message: "\(file.lastPathComponent) is damaged, cut off or of another version: it "
                    + "has \(content.count) bytes with SHA-256 \(found), and this package was made "
                    + "for \(sha256). Build the app again with one version of the package.")
        }
        return content
    }
}

func hexadecimal(_ digest: SHA256.Digest) -> String {
    digest.map { String(format: "%02x", $0) }.joined()
}

func decoded<T: Decodable>(_ type: T.Type, _ content: Data, _ name: String) throws -> T {
    do {
        return try JSONDecoder().decode(type, from: content)
    } catch {
        throw ModelError(message: "\(name) lacks a field: package the model again. \(error)")
    }
}
