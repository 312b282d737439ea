/** What the kernel may refuse without harm. */

/** Whether it could be done: false where the system has refused it. Other errors are thrown on. */
export function attempt(action: () => unknown): boolean {
  try {
    action();
    return true;
  } catch (error) {
    if (error instanceof Error && "code" in error) return false;
    throw error;
  }
}
