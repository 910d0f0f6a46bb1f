import type { App } from '../../src/app/app.ts';
import { type ServiceOptions, startService } from '../../src/commands/serve/service.ts';
import { createMemoryQueue } from '../../src/queue/memory.ts';
import type { Controller } from '../../src/service/controller.ts';
import type { Service } from '../../src/service/service.ts';
import type { Watch } from '../fakes/faulty.ts';
import type { World } from '../reconcile/world.ts';

export interface Serving extends AsyncDisposable {
  readonly app: App;
  readonly controller: Controller;
  readonly service: Service;
}

/** Starts one process of the service on in-memory systems. */
export async function serve(
  world: World,
  watch?: Watch,
  more: Partial<ServiceOptions> = {},
): Promise<Serving> {
  const process = await world.start(watch);
  // The wrapped cluster returns only promises, so watches use the cluster without the wrapper.
  const app: App = Object.defineProperties(
    { ...process.app },
    {
      ...Object.getOwnPropertyDescriptors(process.app),
      cluster: { value: world.cluster, enumerable: true },
    },
  );
  const queue = createMemoryQueue({ concurrency: 8, timers: world.clock });
  const { controller, service } = await startService(app, {
    queue,
    replica: 'r',
    version: '1',
    random: () => 0.5,
    onOutcome: () => undefined,
    onCycle: () => undefined,
    configProblems: () => [],
    intakes: () => [],
    differing: () => [],
    ...more,
  });
  return {
    app,
    controller,
    service,
    async [Symbol.asyncDispose]() {
      await controller.close(1_000);
      await queue[Symbol.asyncDispose]();
      await process[Symbol.asyncDispose]();
    },
  };
}
