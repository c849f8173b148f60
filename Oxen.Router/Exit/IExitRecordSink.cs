namespace Oxen.Router.Exit;

/// <summary>Takes UDP records on their way back into a session. Called on thread pool threads, several at a time: implementations are thread-safe.</summary>
internal interface IExitRecordSink
{
    /// <summary>The record is a loan for the length of the call. It fits <see cref="Core.Wire.ProxyWire.MaxRecordBytes"/>.</summary>
    void Send(long session, ReadOnlySpan<byte> record);
}
