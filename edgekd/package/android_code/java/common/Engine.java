package edgekd.bundle;

import java.nio.ByteBuffer;

/** A runtime with the model in it. Used by one thread at a time. */
interface Engine {
    /**
     * Answers one sample.
     *
     * @param inputs in the order of the spec, from their beginnings, in the machine's byte order.
     * @param output takes the answer, from its beginning.
     */
    void run(ByteBuffer[] inputs, ByteBuffer output) throws Exception;

    void close() throws Exception;
}
