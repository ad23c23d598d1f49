// A shop's worker with @camunda8/sdk: charges cards, packs boxes, re-routes trucks of the "fresh food order".
import { Camunda8 } from "@camunda8/sdk";

interface Order {
  orderId: string;
  total?: number;
  temperature?: number;
}

const LIMIT = 100;

const camunda = new Camunda8({
  CAMUNDA_AUTH_STRATEGY: "NONE",
  ZEEBE_GRPC_ADDRESS: process.env.ZEEBE_GRPC_ADDRESS ?? "grpc://localhost:26500",
});
const zeebe = camunda.getZeebeGrpcApiClient();

zeebe.createWorker<Order>({
  taskType: "charge-card",
  taskHandler: (job) => {
    const { orderId, total = 0 } = job.variables;
    if (total > LIMIT) {
      // The model has a boundary event for it: no incident, no retry.
      return job.error("card-declined", `${total} is over the limit of ${LIMIT}`);
    }
    console.log(`charged ${total} for ${orderId}`);
    return job.complete({ charge: `ch-${orderId}` });
  },
});

zeebe.createWorker<Order>({
  taskType: "pack",
  taskHandler: (job) => {
    console.log(`packed ${job.variables.orderId}`);
    return job.complete({ truck: `T-${job.variables.orderId}` });
  },
});

zeebe.createWorker<Order>({
  taskType: "re-route",
  taskHandler: (job) => {
    console.log(`re-routed the truck of ${job.variables.orderId}: ${job.variables.temperature} degrees`);
    return job.complete();
  },
});
