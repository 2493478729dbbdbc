/** Numbers as people read them. */

const BYTE_UNITS = ["B", "kB", "MB", "GB", "TB"];

/** Bytes, in steps of a thousand: `1.2 GB`. */
export function bytes(count: number): string {
  let value = count;
  let unit = 0;
  while (value >= 999.5 && unit < BYTE_UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  const digits = unit === 0 || value >= 99.95 ? 0 : 1;
  return `${value.toFixed(digits)} ${BYTE_UNITS[unit] ?? ""}`;
}

/** Seconds, rounded so that it does not twitch: `45 s`, `3 min`, `1 h 20 min`. */
export function duration(seconds: number): string {
  if (seconds < 10) return `${Math.max(1, Math.round(seconds))} s`;
  if (seconds < 55) return `${Math.round(seconds / 5) * 5} s`;
  const minutes = Math.max(1, Math.round(seconds / 60));
  if (minutes < 60) return `${minutes} min`;
  const rest = minutes % 60;
  return rest === 0 ? `${Math.floor(minutes / 60)} h` : `${Math.floor(minutes / 60)} h ${rest} min`;
}

/** Whole numbers with thousands set apart. */
export function count(value: number): string {
  return value.toLocaleString("en");
}

/** mm², with the digits that matter; what is there is never shown as none. */
export function area(mm2: number): string {
  if (mm2 === 0) return "0 mm²";
  if (mm2 < 0.01) return "< 0.01 mm²";
  return `${mm2.toFixed(mm2 < 10 ? 2 : mm2 < 100 ? 1 : 0)} mm²`;
}

/** A percentage; what is there is never shown as none, nor what is not all as all. */
export function percent(value: number): string {
  if (value > 0 && value < 0.1) return "< 0.1 %";
  if (value > 99.9 && value < 100) return "> 99.9 %";
  return `${value.toFixed(value < 10 ? 1 : 0)} %`;
}

/** A probability, three digits. */
export function probability(value: number): string {
  return value.toFixed(3);
}

/** A time as the day if it is long ago, else the time of day. */
export function when(iso: string, now: Date = new Date()): string {
  const time = new Date(iso);
  const sameDay = time.toDateString() === now.toDateString();
  return sameDay
    ? time.toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit" })
    : time.toLocaleDateString(undefined, { day: "numeric", month: "short", year: "numeric" });
}

/** `1 slide`, `2 slides`. */
/** A word or sentence that begins with a capital letter. */
export function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

export function plural(number: number, one: string, many = `${one}s`): string {
  return `${count(number)} ${number === 1 ? one : many}`;
}
