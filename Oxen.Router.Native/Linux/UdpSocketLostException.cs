namespace Oxen.Router.Native.Linux;

/// <summary>The socket is of no more use and must be made anew.</summary>
internal sealed class UdpSocketLostException(string call, int errno)
    : IOException($"{call} failed on the UDP socket: {System.Runtime.InteropServices.Marshal.GetPInvokeErrorMessage(errno)} (errno {errno})")
{
    public int Errno { get; } = errno;
}
