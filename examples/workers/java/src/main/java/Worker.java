import io.camunda.client.CamundaClient;
import io.camunda.client.api.response.ActivatedJob;
import io.camunda.client.api.worker.JobClient;
import io.camunda.client.api.worker.JobHandler;
import java.net.URI;
import java.util.Map;
import java.util.concurrent.CountDownLatch;

/** A shop's worker: charges cards, packs boxes, re-routes trucks of the "fresh food order". */
public final class Worker {
  private static final double LIMIT = 100;

  public static void main(final String[] args) throws InterruptedException {
    final String address = System.getenv().getOrDefault("CAMUNDA_GRPC_ADDRESS", "http://localhost:26500");
    try (CamundaClient client =
        CamundaClient.newClientBuilder().grpcAddress(URI.create(address)).preferRestOverGrpc(false).build()) {
      open(client, "charge-card", Worker::chargeCard);
      open(client, "pack", Worker::pack);
      open(client, "re-route", Worker::reRoute);
      // Until Ctrl-C.
      new CountDownLatch(1).await();
    }
  }

  private static void open(final CamundaClient client, final String type, final JobHandler handler) {
    client.newWorker().jobType(type).handler(handler).name("java-shop").streamEnabled(true).open();
  }

  private static void chargeCard(final JobClient jobs, final ActivatedJob job) {
    final Order order = job.getVariablesAsType(Order.class);
    if (order.total() > LIMIT) {
      // The model has a boundary event for it: no incident, no retry.
      jobs.newThrowErrorCommand(job)
          .errorCode("card-declined")
          .errorMessage(order.total() + " is over the limit of " + LIMIT)
          .send()
          .join();
      return;
    }
    System.out.printf("charged %s for %s%n", order.total(), order.orderId());
    jobs.newCompleteCommand(job).variables(Map.of("charge", "ch-" + order.orderId())).send().join();
  }

  private static void pack(final JobClient jobs, final ActivatedJob job) {
    final Order order = job.getVariablesAsType(Order.class);
    System.out.printf("packed %s%n", order.orderId());
    jobs.newCompleteCommand(job).variables(Map.of("truck", "T-" + order.orderId())).send().join();
  }

  private static void reRoute(final JobClient jobs, final ActivatedJob job) {
    final Order order = job.getVariablesAsType(Order.class);
    System.out.printf("re-routed the truck of %s: %s degrees%n", order.orderId(), order.temperature());
    jobs.newCompleteCommand(job).send().join();
  }

  /** What the handlers need of an order's variables. */
  private record Order(String orderId, double total, double temperature) {}
}
