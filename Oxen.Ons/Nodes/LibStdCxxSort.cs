using System.Numerics;

namespace Oxen.Ons.Nodes;

// std::sort as libstdc++ has it (bits/stl_algo.h): introsort, not stable. Where sizes are equal, the order that it happens to leave
// is part of what real oxends agree on, so it is repeated step by step: quicksort with the median of three down to 16 elements,
// heapsort if that goes too deep, insertion at the end.
internal static class LibStdCxxSort
{
    private const int Threshold = 16;

    public static void Sort((ulong Id, int Size)[] a)
    {
        if (a.Length == 0) return;
        Introsort(a, 0, a.Length, 2 * BitOperations.Log2((uint)a.Length));
        if (a.Length <= Threshold)
        {
            Insert(a, 0, a.Length);
            return;
        }

        Insert(a, 0, Threshold);
        for (int i = Threshold; i < a.Length; i++) InsertUnguarded(a, i);
    }

    private static void Introsort((ulong Id, int Size)[] a, int first, int last, int depth)
    {
        while (last - first > Threshold)
        {
            if (depth-- == 0)
            {
                HeapSort(a, first, last);
                return;
            }

            MedianToFirst(a, first, first + 1, first + (last - first) / 2, last - 1);
            int cut = Partition(a, first + 1, last, first);
            Introsort(a, cut, last, depth);
            last = cut;
        }
    }

    private static void MedianToFirst((ulong Id, int Size)[] a, int to, int x, int y, int z)
    {
        int median = Less(a, x, y) ? (Less(a, y, z) ? y : Less(a, x, z) ? z : x) : (Less(a, x, z) ? x : Less(a, y, z) ? z : y);
        Swap(a, to, median);
    }

    private static int Partition((ulong Id, int Size)[] a, int first, int last, int pivot)
    {
        while (true)
        {
            while (Less(a, first, pivot)) first++;
            last--;
            while (Less(a, pivot, last)) last--;
            if (first >= last) return first;
            Swap(a, first, last);
            first++;
        }
    }

    private static void Insert((ulong Id, int Size)[] a, int first, int last)
    {
        for (int i = first + 1; i < last; i++)
        {
            if (!Less(a, i, first))
            {
                InsertUnguarded(a, i);
                continue;
            }

            (ulong, int) value = a[i];
            Array.Copy(a, first, a, first + 1, i - first);
            a[first] = value;
        }
    }

    private static void InsertUnguarded((ulong Id, int Size)[] a, int at)
    {
        (ulong Id, int Size) value = a[at];
        for (; at > 0 && value.Size < a[at - 1].Size; at--) a[at] = a[at - 1];
        a[at] = value;
    }

    // std::make_heap, then std::sort_heap.
    private static void HeapSort((ulong Id, int Size)[] a, int first, int last)
    {
        int length = last - first;
        for (int parent = (length - 2) / 2; parent >= 0; parent--) AdjustHeap(a, first, parent, length, a[first + parent]);
        for (int end = last - 1; end > first; end--)
        {
            (ulong, int) value = a[end];
            a[end] = a[first];
            AdjustHeap(a, first, 0, end - first, value);
        }
    }

    private static void AdjustHeap((ulong Id, int Size)[] a, int first, int hole, int length, (ulong Id, int Size) value)
    {
        int top = hole, child = hole;
        while (child < (length - 1) / 2)
        {
            child = 2 * (child + 1);
            if (Less(a, first + child, first + child - 1)) child--;
            a[first + hole] = a[first + child];
            hole = child;
        }

        if ((length & 1) == 0 && child == (length - 2) / 2)
        {
            child = 2 * (child + 1);
            a[first + hole] = a[first + child - 1];
            hole = child - 1;
        }

        for (int parent = (hole - 1) / 2; hole > top && a[first + parent].Size < value.Size; parent = (hole - 1) / 2)
        {
            a[first + hole] = a[first + parent];
            hole = parent;
        }

        a[first + hole] = value;
    }

    private static bool Less((ulong Id, int Size)[] a, int x, int y) => a[x].Size < a[y].Size;

    private static void Swap((ulong Id, int Size)[] a, int x, int y) => (a[x], a[y]) = (a[y], a[x]);
}
