package edgekd.bundle;

/** A bundle that cannot be used, or an input that is none of this model; says what to do. */
public final class ModelException extends RuntimeException {
    ModelException(String message) {
        super(message);
    }

    ModelException(String message, Throwable cause) {
        super(message, cause);
    }
}
