import type { Result } from './result.ts';
import type { Row } from './row.ts';
import { type Bar, barChart, type Chart } from './svg.ts';

/** Returns the charts of a result. The keys are file names. A chart without rows is left out. */
export function chartsOf(result: Result): Readonly<Record<string, string>> {
  const rows = result.groups.flatMap((group) => group.rows);
  const passes = rows.filter(({ id }) => /^(aws|azure|vault|shared)\/(unchanged|changed)\//.test(id));
  const times = rows.filter(({ id }) => id.startsWith('first/time/'));
  const cpu = rows.filter(({ id }) => id.startsWith('first/cpu/'));
  const memory = rows.filter(({ id }) => id.startsWith('first/memory/'));
  const steady = rows.find(({ id }) => id === 'memory/steady');
  const charts: Readonly<Record<string, Chart>> = {
    'bench-calls.svg': {
      title: 'Store calls in one cycle',
      note: 'As a multiple of the fewest possible calls: 1 is the floor.',
      bars: passes.filter(({ ratio }) => ratio !== undefined).map(barOfRatio),
    },
    'bench-latency.svg': {
      title: 'First sync, from process start',
      note: '1,000 mappings of 5 AWS keys on a real API server, 10 ms for each store call.',
      bars: times.map(barOf),
    },
    'bench-cpu.svg': { title: 'First sync, CPU', note: 'Our process only.', bars: cpu.map(barOf) },
    'bench-memory.svg': {
      title: 'First sync, highest resident memory',
      note: 'Our process only.',
      bars: memory.map(barOf),
    },
    'bench-rotation.svg': {
      title: 'From a new value or mapping to its Secret',
      note: 'New values by event in four stores; new mappings while 1,000 changed targets wait.',
      bars: [...latencyBars(rows, 'event/all', 'p95'), ...latencyBars(rows, 'new/p99', 'p99')],
    },
    'bench-growth.svg': {
      title: 'Growth relative to the number of targets',
      note: 'Line: ten times as much for ten times the targets. Below it: fixed costs of every process.',
      bars: growthBars(rows),
    },
    'bench-passes.svg': {
      title: 'Peak resident set of each cycle',
      note: `Our process: ${steady?.title ?? ''}.`,
      bars: steady === undefined ? [] : cycleBars(steady),
    },
  };
  const filled = Object.entries(charts).filter(([, { bars }]) => bars.length > 0);
  return Object.fromEntries(filled.map(([name, chart]) => [name, barChart(chart)]));
}

const SHARES = ['p50', 'p95', 'p99'] as const;

/**
 * Draws one bar for each percentile.
 * @param own The percentile in `row.value`. The other percentiles are in `row.detail`.
 */
function latencyBars(rows: readonly Row[], id: string, own: (typeof SHARES)[number]): readonly Bar[] {
  const latencyRows = rows.filter((row) => row.id.startsWith(`${id}/`));
  return latencyRows.flatMap(({ id: full, value, unit, goal, detail = {} }) =>
    SHARES.flatMap((share) => {
      const seen = share === own ? value : detail[share];
      if (seen === undefined) return [];
      const floor = detail[`bare${share.toUpperCase()}`];
      const bar: Bar = {
        label: `${LATENCIES[id] ?? id}, ${SHORT_LABELS[full.split('/').at(-1) ?? ''] ?? full}: ${share}`,
        value: seen,
        unit,
        ...(floor === undefined ? {} : { floor }),
        ...(share === own && goal?.value !== undefined ? { goal: goal.value } : {}),
      };
      return [bar];
    }),
  );
}

/**
 * Draws one bar for each measured value and each number of targets. The bar shows the growth of the value since the
 * next smaller number of targets.
 */
function growthBars(rows: readonly Row[]): readonly Bar[] {
  const figures = Map.groupBy(
    rows.filter(({ id }) => id.startsWith('scale/')),
    ({ id }) => id.split('/')[1] ?? '',
  );
  const size = (row: Row | undefined) => (row?.detail?.targets ?? 0).toLocaleString('en-GB');
  return [...figures].flatMap(([figure, figureRows]) =>
    figureRows.flatMap((row, index) => {
      if (row.ratio === undefined) return [];
      const goal = row.goal?.ratio;
      const label = `${FIGURES[figure] ?? figure}: ${size(figureRows[index - 1])} to ${size(row)}`;
      return [{ label, value: row.ratio, unit: '×', floor: 1, ...(goal === undefined ? {} : { goal }) }];
    }),
  );
}

function cycleBars({ unit, floor, goal, detail = {} }: Row): readonly Bar[] {
  return Object.entries(detail).flatMap(([name, value]) => {
    const cycle = /^pass(\d+)$/.exec(name)?.[1];
    if (cycle === undefined) return [];
    return [
      {
        label: cycle === '0' ? 'in the first sync' : `in cycle ${cycle}`,
        ...{ value, unit },
        ...(floor === undefined ? {} : { floor }),
        ...(cycle === '0' || goal?.value === undefined ? {} : { goal: goal.value }),
      },
    ];
  });
}

function barOf({ id, value, unit, floor, goal }: Row): Bar {
  return {
    label: wayOf(id),
    value,
    unit,
    ...(floor === undefined ? {} : { floor }),
    ...(goal?.value === undefined ? {} : { goal: goal.value }),
  };
}

function barOfRatio({ id, ratio = 0, floor = 1, goal }: Row): Bar {
  const [store = '', what = '', way = ''] = id.split('/');
  const subject = `${STORES[store] ?? store}, ${what === 'changed' ? '10 keys changed' : 'no change'}`;
  return {
    label: `${subject}: ${SHORT_LABELS[way] ?? way}`,
    value: ratio,
    unit: '×',
    floor: 1,
    ...(goal?.value === undefined ? {} : { goal: goal.value / floor }),
  };
}

/**
 * Converts the last part of a row id to text: the run mode, and the concurrency unless the concurrency is the default.
 */
function wayOf(id: string): string {
  const [way = '', atOnce] = (id.split('/').at(-1) ?? '').split('-');
  return `${WAYS[way] ?? id}${atOnce === undefined ? '' : `, concurrency ${atOnce}`}`;
}

const WAYS: Readonly<Record<string, string>> = {
  memory: 'service, memory engine',
  redis: 'service, Redis engine',
  sync: 'one sync',
};
const SHORT_LABELS: Readonly<Record<string, string>> = { memory: 'memory', redis: 'Redis', sync: 'one sync' };
const STORES: Readonly<Record<string, string>> = {
  aws: 'AWS',
  azure: 'Azure',
  vault: 'Vault',
  shared: 'One key, 200 targets',
};
const LATENCIES: Readonly<Record<string, string>> = { 'event/all': 'event', 'new/p99': 'new mapping' };
const FIGURES: Readonly<Record<string, string>> = {
  first: 'first sync',
  'first-cpu': 'CPU of the first sync',
  'first-calls': 'calls of the first sync',
  'pass-cpu': 'CPU of a cycle',
  'pass-calls': 'calls of a cycle',
  memory: 'resident set',
  ready: 'start until ready',
};
