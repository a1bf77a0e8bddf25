// Why a store did not do what it was asked: a stable code, and a sentence for the log and the
// status that says what to do. Pure.

type StoreErrorCode =
  /** Could not be done; the sentence tells. */
  | 'failed'
  | 'unreadable'
  | 'too-large'
  /** Nobody answered in time. */
  | 'timeout'
  /** The store holds a snapshot of a newer term of ownership, which stays. */
  | 'older-epoch';

export class StoreError extends Error {
  override readonly name = 'StoreError';
  readonly code: StoreErrorCode;

  constructor(code: StoreErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
