export function confine(_core: number | undefined): void {}
