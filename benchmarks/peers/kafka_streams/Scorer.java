import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.time.Instant;
import java.util.HashMap;
import java.util.Map;

/** From a transaction and its account's windows to the columns of the model, and the score. */
final class Scorer {
    private static final String[] NAMES = {
        "amount", "merchant_type", "device_type", "location_match", "merchant_category",
        "location_distance_km", "is_online", "transaction_count_1h", "total_amount_24h", "hour_sin",
        "hour_cos", "weekday", "is_night", "amount_log", "location_mismatch", "user_count_1h",
        "user_sum_1h", "user_count_1d", "user_sum_1d", "user_count_7d", "user_mean_7d",
        "user_since_last"};
    private static final long HOUR_US = 3_600_000_000L, DAY_US = 24 * HOUR_US;

    private final ObjectMapper json = new ObjectMapper();
    private final Map<String, Integer> merchantTypes;
    private final Map<String, Integer> deviceTypes;
    private final int[] columns;
    private final Forest forest;

    /** Reads the JSON file that names the model's file, its columns, and the categories. */
    Scorer(Path settings) throws IOException {
        JsonNode given = json.readTree(settings.toFile());
        forest = new Forest(Path.of(given.get("model").asText()));
        merchantTypes = places(given.get("categories").get("merchant_type"));
        deviceTypes = places(given.get("categories").get("device_type"));
        Map<String, Integer> known = new HashMap<>();
        for (int i = 0; i < NAMES.length; i++) {
            known.put(NAMES[i], i);
        }
        JsonNode named = given.get("columns");
        columns = new int[named.size()];
        for (int i = 0; i < columns.length; i++) {
            columns[i] = known.get(named.get(i).asText());
        }
    }

    record Result(byte[] windows, byte[] message) {}

    /** The account's windows with this transaction, and the message that goes on. */
    Result score(byte[] value, byte[] stored) {
        try {
            JsonNode transaction = json.readTree(value);
            Windows windows = new Windows(stored);
            double[] features = features(transaction, windows);
            double[] row = new double[columns.length];
            for (int i = 0; i < row.length; i++) {
                row[i] = features[columns[i]];
            }
            ObjectNode message = json.createObjectNode();
            message.put("id", transaction.get("transaction_id").asText());
            message.put("score", forest.margin(row));
            ArrayNode list = message.putArray("features");
            for (double feature : features) {
                if (Double.isNaN(feature)) {
                    list.addNull();
                } else {
                    list.add(feature);
                }
            }
            message.set("transaction", transaction);
            return new Result(windows.bytes, json.writeValueAsBytes(message));
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
    }

    private double[] features(JsonNode transaction, Windows windows) {
        Instant at = Instant.parse(transaction.get("timestamp").asText());
        long timeUs = at.getEpochSecond() * 1_000_000 + at.getNano() / 1000;
        double amount = transaction.get("amount").asDouble();
        windows.add(timeUs, (long) Math.rint(amount * 100));
        long inDay = timeUs % DAY_US;
        double angle = (double) inDay / DAY_US * 2 * Math.PI;
        boolean match = transaction.get("location_match").asBoolean();
        return new double[] {
            amount,
            merchantTypes.get(transaction.get("merchant_type").asText()),
            deviceTypes.get(transaction.get("device_type").asText()),
            match ? 1 : 0,
            number(transaction, "merchant_category"),
            number(transaction, "location_distance_km"),
            transaction.has("is_online") ? (transaction.get("is_online").asBoolean() ? 1 : 0) : Double.NaN,
            number(transaction, "transaction_count_1h"),
            number(transaction, "total_amount_24h"),
            Math.sin(angle),
            Math.cos(angle),
            (timeUs / DAY_US + 3) % 7,
            inDay / HOUR_US < 7 ? 1 : 0,
            Math.log1p(amount),
            match ? 0 : 1,
            windows.count[0],
            windows.sum[0] / 100.0,
            windows.count[1],
            windows.sum[1] / 100.0,
            windows.count[2],
            (double) windows.sum[2] / windows.count[2] / 100.0,
            windows.sinceLast};
    }

    private static double number(JsonNode transaction, String name) {
        return transaction.has(name) ? transaction.get(name).asDouble() : Double.NaN;
    }

    private static Map<String, Integer> places(JsonNode values) {
        Map<String, Integer> places = new HashMap<>();
        for (int i = 0; i < values.size(); i++) {
            places.put(values.get(i).asText(), i);
        }
        return places;
    }
}
