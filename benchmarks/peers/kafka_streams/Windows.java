import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/**
 * One account's windows as a value of the store: the newest time, then three rings of panes.
 *
 * <p>A slot of a ring is 16 bytes: the pane's number (time / width), its count, and its sum in minor units.
 * A slot whose number is too old does not count, so nothing has to expire it.
 */
final class Windows {
    private static final long SECOND = 1_000_000L, HOUR = 3_600 * SECOND;
    private static final long[] WIDTH = {300 * SECOND, HOUR, 24 * HOUR};
    private static final int[] REACH = {13, 25, 8};
    private static final int SLOT = 16, HEAD = 8;
    private static final int BYTES = HEAD + SLOT * (REACH[0] + REACH[1] + REACH[2]);

    final byte[] bytes;
    final long[] count = new long[3];
    final long[] sum = new long[3];
    double sinceLast;

    /** Takes what the store holds; null for an account that it does not know. */
    Windows(byte[] stored) {
        bytes = stored == null ? new byte[BYTES] : stored.clone();
    }

    /** Adds a transaction, and totals the hour, the day and the week that end with it. */
    void add(long timeUs, long minor) {
        ByteBuffer state = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
        long last = state.getLong(0);
        sinceLast = last == 0 ? Double.NaN : Math.max(timeUs + 1 - last, 0) / 1e6;
        state.putLong(0, Math.max(last, timeUs + 1));
        int base = HEAD;
        for (int ring = 0; ring < REACH.length; ring++) {
            int pane = (int) (timeUs / WIDTH[ring]);
            note(state, base + pane % REACH[ring] * SLOT, pane, minor);
            total(state, base, ring, pane);
            base += REACH[ring] * SLOT;
        }
    }

    private static void note(ByteBuffer state, int place, int pane, long minor) {
        boolean held = state.getInt(place) == pane;
        state.putInt(place, pane);
        state.putInt(place + 4, (held ? state.getInt(place + 4) : 0) + 1);
        state.putLong(place + 8, (held ? state.getLong(place + 8) : 0) + minor);
    }

    private void total(ByteBuffer state, int base, int ring, int pane) {
        for (int slot = 0; slot < REACH[ring]; slot++) {
            int place = base + slot * SLOT;
            int number = state.getInt(place);
            if (number <= pane && number > pane - REACH[ring]) {
                count[ring] += state.getInt(place + 4);
                sum[ring] += state.getLong(place + 8);
            }
        }
    }
}
