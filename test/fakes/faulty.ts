/** A hook point of a port call: before the call, or after it succeeded. */
export interface Step {
  /** The called method, as `<port>.<method>`. */
  readonly call: string;
  readonly phase: 'before' | 'after';
  readonly args: readonly unknown[];
}

/** Called at every step. It can throw to make the call fail, or wait to delay the call. */
export type Watch = (step: Step) => void | Promise<void>;

/**
 * Wraps any port with hooks. If the hook throws before the call, the call does not happen. If the hook throws after the
 * call, the result is lost. Only methods that return a promise are wrapped.
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

/** The error of a simulated process crash. */
export class Crash extends Error {
  override readonly name = 'Crash';
}

export interface CrashPlan {
  readonly watch: Watch;
  /** All steps so far, as `<phase> <call>`. */
  readonly steps: readonly string[];
}

/**
 * Simulates a crash at the given step, counted from 1. That step and all later ones have no effect. 0 means no crash.
 */
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

/** Fails matching calls before or after they run, either always or only the first few times. */
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
  /** Resolves when a matching call has arrived at the gate. */
  readonly arrived: Promise<void>;
  /** Opens the gate, so waiting and later calls continue. */
  open(): void;
}

/** Makes matching calls wait until the test opens the gate. */
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
