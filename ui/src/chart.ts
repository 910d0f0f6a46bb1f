import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';

// The charts are in a file of their own, which the page loads when it needs one.

export interface ChartSeries {
  readonly title: string;
  /** The name of a color in `base.css`, without the dashes. */
  readonly color: string;
  readonly isFilled?: boolean;
  readonly values: readonly number[];
}

export interface ChartData {
  /** Seconds since 1970. */
  readonly times: readonly number[];
  readonly series: readonly ChartSeries[];
}

const HEIGHT = 180;

/** Draws a chart into an element. Returns a function that removes the chart. */
export function drawChart(place: HTMLElement, { times, series }: ChartData): () => void {
  const dark = matchMedia('(prefers-color-scheme: dark)');
  const data: uPlot.AlignedData = [[...times], ...series.map(({ values }) => [...values])];
  let plot = create();

  function create(): uPlot {
    const style = getComputedStyle(place);
    const color = (name: string): string => style.getPropertyValue(`--${name}`).trim();
    const axis: uPlot.Axis = {
      stroke: color('muted'),
      grid: { stroke: color('line'), width: 1 },
      ticks: { stroke: color('line'), width: 1, size: 4 },
      font: '12px system-ui, sans-serif',
    };
    return new uPlot(
      {
        width: place.clientWidth,
        height: HEIGHT,
        legend: { show: false },
        cursor: { y: false, drag: { x: false, y: false } },
        scales: { y: { range: (_, __, max) => [0, Math.max(1, max * 1.1)] } },
        axes: [
          { ...axis, values: (_, ticks) => ticks.map(label(times)) },
          {
            ...axis,
            size: 44,
            incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 50_000, 100_000],
          },
        ],
        series: [
          {},
          ...series.map((one) => ({
            label: one.title,
            stroke: color(one.color),
            width: 1.5,
            points: { show: false },
            ...(one.isFilled === true ? { fill: `${color(one.color)}22` } : {}),
          })),
        ],
      },
      data,
      place,
    );
  }

  const redraw = (): void => {
    plot.destroy();
    plot = create();
  };
  const resized = new ResizeObserver(() => plot.setSize({ width: place.clientWidth, height: HEIGHT }));
  resized.observe(place);
  dark.addEventListener('change', redraw);
  return () => {
    dark.removeEventListener('change', redraw);
    resized.disconnect();
    plot.destroy();
  };
}

/** Returns the labels of the time axis: hours for at most two days, otherwise days. */
function label(times: readonly number[]): (seconds: number) => string {
  const isShort = (times.at(-1) ?? 0) - (times[0] ?? 0) <= 2 * 86_400;
  const format = new Intl.DateTimeFormat(
    'en-GB',
    isShort ? { hour: '2-digit', minute: '2-digit' } : { day: 'numeric', month: 'short' },
  );
  return (seconds) => format.format(seconds * 1_000);
}
