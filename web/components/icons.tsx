/** Small drawings in the text's colour, 20 by 20. Hidden from screen readers: a word stands beside each. */
const PATHS = {
  home: "M3 9.5 10 3.5l7 6M5 8.5V16h3.5v-4h3v4H15V8.5",
  boxes: "M4 4.5h5v5H4zM11 4.5h5v5h-5zM4 11.5h5v5H4zM11 11.5h5v5h-5z",
  layers: "M10 3.5 3.5 7 10 10.5 16.5 7zM3.5 10.2 10 13.7l6.5-3.5M3.5 13.4 10 16.9l6.5-3.5",
  queue: "M4 5.5h12M4 10h12M4 14.5h7M14 12.8v3.4l2.6-1.7z",
  download: "M10 4v9M6.5 9.5 10 13l3.5-3.5M4 13v3h12v-3",
  search: "M9 4a5 5 0 1 1 0 10A5 5 0 0 1 9 4zM12.7 12.7 16.5 16.5",
  pin: "M7 3.5h6l-.7 5 2.2 2.5h-9l2.2-2.5zM10 11v5.5",
  upload: "M10 13V4M6.5 7.5 10 4l3.5 3.5M4 13v3h12v-3",
  book: "M4 4.5h5.2c.5 0 .8.3.8.8V16c0-.6-.5-1-1-1H4zM16 4.5h-5.2c-.5 0-.8.3-.8.8V16c0-.6.5-1 1-1h5z",
  play: "M6.5 4.5v11l9-5.5z",
  stop: "M5.5 5.5h9v9h-9z",
  again: "M15.5 10a5.5 5.5 0 1 1-1.8-4.1M15.5 3.5v3.2h-3.2",
  cloud: "M6 15.5h8a3 3 0 0 0 .4-6A4.5 4.5 0 0 0 5.8 8.9 3.3 3.3 0 0 0 6 15.5z",
  check: "M4.5 10.5 8.5 14.5 15.5 6",
  alert: "M10 5.5v6M10 14.2v.3",
  clock: "M10 5.5V10l3 2",
  dash: "M5.5 10h9",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name, size = 20 }: { name: IconName; size?: number }) {
  return (
    <svg
      width={size}
      height={size}
      viewBox="0 0 20 20"
      fill="none"
      stroke="currentColor"
      stroke-width="1.7"
      stroke-linecap="round"
      stroke-linejoin="round"
      aria-hidden="true"
    >
      <path d={PATHS[name]} />
    </svg>
  );
}
