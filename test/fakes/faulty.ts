/** One call of a port, before it runs or after it succeeded. */
export interface Step {
  /** `<port>.<method>`. */
  readonly call: string;
  readonly phase: 'before' | 'after';
  readonly args: readonly unknown[];
}

/** Called at every step. It throws to make the call fail, or waits to delay it. */
export type Watch = (step: Step) => void | Promise<void>;

/**
 * Wraps any port with hooks. If `before` throws, the call is not made; if `after` throws, its result is lost. Only
 * methods that return a promise are wrapped.
 */
export function faulty<Port extends object>(name: string, port: Port, watch: Watch): Port {
  return new Proxy(port, {
    get(target, property) {
      const value: unknown = Reflect.get(target, property, target);
      if (typeof value !== 'function' || property === Symbol.asyncDispose) return value;
      const call = `${name}.${String(property)}`;
      return (...args: readonly unknown[]) => {
        if (SYNCHRONOUS.includes(property)) return Reflect.apply(value, target, args);
        return (async () => {
          await watch({ call, phase: 'before', args });
          const result: unknown = await Reflect.apply(value, target, args);
          await watch({ call, phase: 'after', args });
          return result;
        })();
      };
    },
  });
}

/** Port methods that do not return a promise. */
const SYNCHRONOUS: readonly (string | symbol)[] = [
  'storedRecords',
  'ownNamespace',
  'mergedKeys',
  'exclusivelyOwned',
];

/** Thrown at the point of a simulated process crash. */
export class Crash extends Error {
  override readonly name = 'Crash';
}

export interface CrashPlan {
  readonly watch: Watch;
  /** Every step so far, as `<phase> <call>`. */
  readonly steps: readonly string[];
}

/** Simulates a crash at the given step, counted from 1. That step and all later ones have no effect. 0: never. */
export function crashAt(number: number): CrashPlan {
  const steps: string[] = [];
  return {
    steps,
    watch({ call, phase }) {
      if (number > 0 && steps.length >= number) throw new Crash();
      steps.push(`${phase} ${call}`);
      if (steps.length === number) throw new Crash();
    },
  };
}

/** Fails matching calls before or after they run, each time or only the first times. */
export function failing(
  call: string | RegExp,
  error: unknown,
  { phase = 'before', times = Number.POSITIVE_INFINITY }: { phase?: Step['phase']; times?: number } = {},
): Watch {
  let remaining = times;
  return (step) => {
    const matches = typeof call === 'string' ? step.call === call : call.test(step.call);
    if (!matches || step.phase !== phase || remaining === 0) return;
    remaining -= 1;
    throw error;
  };
}

export interface Gate {
  readonly watch: Watch;
  /** Resolves when a matching call waits at the gate. */
  readonly arrived: Promise<void>;
  /** Lets waiting and later calls pass. */
  open(): void;
}

/** Holds matching calls until the gate opens. */
export function gate(call: string, phase: Step['phase'] = 'before'): Gate {
  const arrival = Promise.withResolvers<void>();
  const opening = Promise.withResolvers<void>();
  return {
    watch: async (step) => {
      if (step.call !== call || step.phase !== phase) return;
      arrival.resolve();
      await opening.promise;
    },
    arrived: arrival.promise,
    open: opening.resolve,
  };
}
