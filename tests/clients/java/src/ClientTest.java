import io.camunda.client.CamundaClient;
import io.camunda.client.api.command.ClientStatusException;
import io.camunda.client.api.command.ProblemException;
import io.camunda.client.api.response.ActivatedJob;
import io.camunda.client.api.search.enums.IncidentErrorType;
import io.camunda.client.api.search.enums.IncidentState;
import io.camunda.client.api.search.enums.ProcessInstanceState;
import io.camunda.client.api.search.response.Incident;
import io.camunda.client.api.search.response.ProcessInstance;
import io.camunda.client.api.worker.JobWorker;
import java.net.URI;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Supplier;

/** Drives Kapelle with the unmodified Java client, once preferring REST (its default) and once preferring gRPC. */
public final class ClientTest {
  private interface Scenario {
    void run() throws Exception;
  }

  private static final String MODELS = System.getenv("KAPELLE_MODELS");
  private static int passed;
  private static int failed;

  private final CamundaClient client;
  private final String api;
  private final String run;

  private ClientTest(final boolean rest) {
    api = rest ? "REST" : "gRPC";
    run = "java-" + api + "-" + ProcessHandle.current().pid();
    client =
        CamundaClient.newClientBuilder()
            .grpcAddress(URI.create("http://" + System.getenv("KAPELLE_GRPC")))
            .restAddress(URI.create(System.getenv("KAPELLE_REST")))
            .preferRestOverGrpc(rest)
            .defaultRequestTimeout(Duration.ofSeconds(15))
            .build();
  }

  public static void main(final String[] args) {
    for (final boolean rest : new boolean[] {true, false}) {
      new ClientTest(rest).all();
    }
    System.out.println(passed + " passed, " + failed + " failed");
    System.exit(failed == 0 ? 0 : 1);
  }

  private void all() {
    scenario("topology names one leader", this::topology);
    scenario("deploys files", this::deploy);
    scenario("polling worker completes jobs, result comes back", () -> worker(false));
    scenario("streaming worker completes jobs", () -> worker(true));
    scenario("failing leads to an incident, resolving goes on", this::incident);
    scenario("thrown error takes the boundary event", this::error);
    scenario("published message is correlated", this::publish);
    scenario("correlated message names its instance", this::correlate);
    scenario("cancelled instance is terminated, a second time is refused", this::cancel);
    client.close();
  }

  private void scenario(final String name, final Scenario scenario) {
    try {
      scenario.run();
      passed++;
      System.out.println("ok - camunda-client-java " + api + " " + name);
    } catch (final Throwable e) {
      failed++;
      System.out.println("not ok - camunda-client-java " + api + " " + name + ": " + e);
    }
  }

  private static void check(final boolean condition, final Object seen) {
    if (!condition) {
      throw new AssertionError("saw " + seen);
    }
  }

  private static <T> T eventually(final String what, final Supplier<Optional<T>> probe)
      throws InterruptedException {
    for (int i = 0; i < 200; i++) {
      final Optional<T> found = probe.get();
      if (found.isPresent()) {
        return found.get();
      }
      Thread.sleep(50);
    }
    throw new AssertionError(what + ": not within 10 s");
  }

  private void topology() {
    final var topology = client.newTopologyRequest().send().join();
    check(topology.getClusterSize() == 1 && topology.getBrokers().size() == 1, topology);
    check(topology.getGatewayVersion().startsWith("8."), topology);
  }

  private void deploy() {
    final var deployed =
        client
            .newDeployResourceCommand()
            .addResourceFile(MODELS + "/client-work.bpmn")
            .addResourceFile(MODELS + "/client-risky.bpmn")
            .addResourceFile(MODELS + "/client-wait.bpmn")
            .send()
            .join();
    check(deployed.getProcesses().size() == 3, deployed);
  }

  private long create(final String process, final Map<String, Object> variables) {
    return client
        .newCreateInstanceCommand()
        .bpmnProcessId(process)
        .latestVersion()
        .variables(variables)
        .send()
        .join()
        .getProcessInstanceKey();
  }

  private void worker(final boolean stream) {
    final JobWorker worker =
        client
            .newWorker()
            .jobType("client-work")
            .handler(
                (jobs, job) ->
                    jobs.newCompleteCommand(job.getKey())
                        .variables(Map.of("doubled", 2 * (Integer) job.getVariablesAsMap().get("number")))
                        .send()
                        .join())
            .streamEnabled(stream)
            .open();
    try {
      for (int number = 0; number < 5; number++) {
        final var result =
            client
                .newCreateInstanceCommand()
                .bpmnProcessId("client-work")
                .latestVersion()
                .variables(Map.of("number", number))
                .withResult()
                .requestTimeout(Duration.ofSeconds(10))
                .send()
                .join();
        check(Integer.valueOf(2 * number).equals(result.getVariablesAsMap().get("doubled")), result);
      }
    } finally {
      worker.close();
    }
  }

  private ActivatedJob take(final String type, final long instance) throws InterruptedException {
    return eventually(
        "job " + type + " of " + instance,
        () ->
            client
                .newActivateJobsCommand()
                .jobType(type)
                .maxJobsToActivate(10)
                .timeout(Duration.ofSeconds(30))
                .requestTimeout(Duration.ofSeconds(2))
                .send()
                .join()
                .getJobs()
                .stream()
                .filter(job -> job.getProcessInstanceKey() == instance)
                .findFirst());
  }

  private ProcessInstance ended(final long instance) throws InterruptedException {
    return eventually(
        "end of " + instance,
        () ->
            Optional.of(client.newProcessInstanceGetRequest(instance).send().join())
                .filter(found -> found.getState() != ProcessInstanceState.ACTIVE));
  }

  /** Not on the workers' process: a closed worker's last poll may still take a job. */
  private void incident() throws Exception {
    final long instance = create("client-risky", Map.of());
    final ActivatedJob job = take("client-risky", instance);
    client.newFailCommand(job.getKey()).retries(0).errorMessage("broken on purpose").send().join();
    final Incident incident =
        eventually(
            "incident of " + instance,
            () -> {
              final List<Incident> found =
                  new ArrayList<>(
                      client
                          .newIncidentSearchRequest()
                          .filter(f -> f.processInstanceKey(instance).state(IncidentState.ACTIVE))
                          .send()
                          .join()
                          .items());
              return found.stream().findFirst();
            });
    check(incident.getErrorType() == IncidentErrorType.JOB_NO_RETRIES, incident.getErrorType());
    client.newUpdateRetriesCommand(job.getKey()).retries(1).send().join();
    client.newResolveIncidentCommand(incident.getIncidentKey()).send().join();
    client.newCompleteCommand(take("client-risky", instance).getKey()).send().join();
    check(ended(instance).getState() == ProcessInstanceState.COMPLETED, instance);
  }

  private void error() throws Exception {
    final long instance = create("client-risky", Map.of());
    client
        .newThrowErrorCommand(take("client-risky", instance).getKey())
        .errorCode("REFUSED")
        .errorMessage("refused by the test")
        .send()
        .join();
    check(ended(instance).getState() == ProcessInstanceState.COMPLETED, instance);
  }

  private void publish() throws Exception {
    final long instance = create("client-wait", Map.of("orderId", run + "-1"));
    client
        .newPublishMessageCommand()
        .messageName("client-paid")
        .correlationKey(run + "-1")
        .timeToLive(Duration.ofSeconds(5))
        .variables(Map.of("amount", 7))
        .send()
        .join();
    check(ended(instance).getState() == ProcessInstanceState.COMPLETED, instance);
  }

  private void correlate() throws Exception {
    final long instance = create("client-wait", Map.of("orderId", run + "-2"));
    final var correlated =
        client
            .newCorrelateMessageCommand()
            .messageName("client-paid")
            .correlationKey(run + "-2")
            .variables(Map.of("amount", 8))
            .send()
            .join();
    check(correlated.getProcessInstanceKey() == instance, correlated.getProcessInstanceKey());
    check(ended(instance).getState() == ProcessInstanceState.COMPLETED, instance);
  }

  private void cancel() throws Exception {
    final long instance = create("client-wait", Map.of("orderId", run + "-3"));
    client.newSetVariablesCommand(instance).variables(Map.of("colour", "blue")).local(false).send().join();
    client.newCancelInstanceCommand(instance).send().join();
    check(ended(instance).getState() == ProcessInstanceState.TERMINATED, instance);
    try {
      client.newCancelInstanceCommand(instance).send().join();
    } catch (final ProblemException | ClientStatusException expected) {
      return;
    }
    throw new AssertionError("an ended instance was cancelled");
  }
}
