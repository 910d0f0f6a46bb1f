import type { VNode } from 'preact';
import { useLayoutEffect, useRef } from 'preact/hooks';
import type { ChartSeries } from '../chart.ts';
import { number } from '../format.tsx';
import { link } from '../router.ts';
import type { Series } from '../types.ts';
import { Empty } from './notice.tsx';

const LINES = [
  { name: 'changes', title: 'changes', color: 'accent', isFilled: true, query: {} },
  { name: 'failures', title: 'failures', color: 'bad', isFilled: false, query: { outcome: 'failed' } },
  { name: 'refusals', title: 'refusals', color: 'violet', isFilled: false, query: { outcome: 'refused' } },
  { name: 'held', title: 'held', color: 'warn', isFilled: false, query: { outcome: 'held' } },
] as const;

interface Props {
  readonly series: Series;
  /** The length of time, for the links to the changes. Example: `7d`. */
  readonly since: string;
}

/** Changes, failures, refusals and held changes over time. */
export function Activity({ series, since }: Props): VNode {
  const place = useRef<HTMLDivElement>(null);
  const text = JSON.stringify(series);
  useLayoutEffect(() => {
    let remove: (() => void) | undefined;
    let isEnded = false;
    void (async () => {
      const { drawChart } = await import('../chart.ts');
      if (isEnded || place.current === null) return;
      remove = drawChart(place.current, {
        times: series.times,
        series: LINES.map(
          ({ name, title, color, isFilled }): ChartSeries => ({
            ...{ title, color, isFilled },
            values: series[name],
          }),
        ),
      });
    })();
    return () => {
      isEnded = true;
      remove?.();
    };
  }, [text]);

  const totals = LINES.map((line) => ({ ...line, total: sum(series[line.name]) }));
  if (totals.every(({ total }) => total === 0))
    return <Empty text="Nothing happened in this time. Each change of a Secret appears here as a point." />;
  const summary = totals.map(({ title, total }) => `${number(total)} ${title}`).join(', ');
  return (
    <figure class="activity">
      <div ref={place} class="chart" role="img" aria-label={`Chart over time: ${summary}`} />
      <figcaption>
        <ul class="legend">
          {totals.map(({ name, title, color, total, query }) => (
            <li key={name}>
              <a href={link(['changes'], { since, ...query })}>
                <span class={`swatch ${color}`} aria-hidden="true" />
                {`${title} `}
                <strong>{number(total)}</strong>
              </a>
            </li>
          ))}
        </ul>
      </figcaption>
    </figure>
  );
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
