/** What shows a console: the one of letters, and the one of pictures. */
export interface Display {
  /** Show what a socket says, and send it what is typed, until it closes. */
  connect(socket: WebSocket): void
  /** Take the keyboard. */
  focus(): void
  /** Type a text. */
  type(text: string): void
  /** Press Ctrl, Alt and Delete; null where there are no such keys. */
  readonly restart: (() => void) | null
}
