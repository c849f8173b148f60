namespace Oxen.Router.Core.Tunnel;

/// <summary>
/// The inner addresses of an exit: lease n is the n-th address of each family. One that was given back waits behind all others:
/// what is still on its way to the last holder must not reach the next one.
/// </summary>
internal sealed class TunnelLeases(InnerAddresses first, int count)
{
    private readonly Queue<int> _back = new();
    private int _fresh;

    public int InUse { get; private set; }

    public int Count { get; } = count;

    public bool TryTake(out int number, out InnerAddresses addresses)
    {
        number = -1;
        addresses = default;
        if (_fresh < Count) number = _fresh++;
        else if (!_back.TryDequeue(out number)) return false;
        InUse++;
        addresses = new InnerAddresses(first.IPv4 + (uint)number, first.IPv6 == 0 ? 0 : first.IPv6 + (UInt128)number);
        return true;
    }

    public void Release(int number)
    {
        InUse--;
        _back.Enqueue(number);
    }
}
